"""Words of invented patients, hospitals and findings: a finding's terms are ``{words|kind}``."""

from __future__ import annotations

GIVEN = """Oliver Amelia Harry Isla George Ava Noah Mia Jack Ivy Leo Freya Arthur Florence Muhammad Fatima Aisha Yusuf Zainab Omar Khadija Ibrahim
Maryam Bilal Samina Tariq Nasreen Imran Rukhsana Farhan Priya Rajesh Sunita Vikram Deepika Anil Lakshmi Harpreet Gurdeep Manjit Simran Jasmeet Nimisha
Chinwe Oluwaseun Ngozi Ifeoma Kwame Akua Kofi Abena Tendai Rudo Farai Chipo Wanjiru Otieno Achieng Tesfaye Selam Abdi Hodan Ayaan Dahabo
Agnieszka Piotr Katarzyna Tomasz Zofia Mateusz Ewelina Sławomir Ion Mihaela Gheorghe Ioana Ruxandra Dimitrios Eleni Kostas Giulia Lorenzo Chiara
Beatriz Thiago Conceição João Inês Søren Astrid Björn Ingrid Matthias Jürgen Käthe Siobhán Aoife Caoimhe Pádraig Niamh Eoin Rhiannon Myfanwy Gethin
Llinos Hamish Morag Eilidh Ruaridh Wei Xiaoyu Jing Hui Mei-Ling Siu Ka-Yan Haruto Yuki Min-Jun Thi Linh Quang Somchai Putri Dewi Ayşe Mehmet Zeynep
Reza Shirin Parisa Levon Anahit Nino Olena Dmytro Yuliia Viktor Svetlana Grace Hope Faith Joy Rose Lily Daisy Olive Hazel Iris May June Mark Frank
Bill Rob Will Jean Dawn Sky Ray Gene Summer Melody Constance Prudence Earl Duke Noel Tilly Bernard Enid Mavis Ethel Cyril Reginald Doris Winifred""".split()
SURNAMES = """Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Wright Walker White Edwards Hughes Green Hall Lewis Harris Clarke Jackson Wood
Turner Hill Cooper Ward Moore Baker Price Stone Bone Long Short Sharp Head Foot Hand Heart Pain Bell Day Knight Winter May March Power Rush Cross Field Marsh
Rivers Brooks Banks Grey Black Young Old Little Strong Savage Best Love Bird Fox Lamb Fish Crisp Peel Nail Bright Fairweather Micklethwaite Ramsbottom
Higginbottom Featherstonehaugh Cholmondeley Ackroyd Sutcliffe Braithwaite Entwistle Murgatroyd Hebblethwaite Pemberton-Hughes Fitzgerald-Moore
Khan Ahmed Hussain Begum Ali Shah Malik Chaudhry Rahman Uddin Miah Akhtar Qureshi Siddiqui Singh Kaur Gill Dhillon Sandhu Sharma Gupta Mehta Desai
Chakraborty Subramaniam Venkatesan Iyer Nair Perera Wickramasinghe Okonkwo Adeyemi Ogunleye Eze Nwosu Mensah Owusu Boateng Asante Moyo Ndlovu
Chikwanha Kamau Mwangi Odhiambo Gebreselassie Warsame Jama Kowalski Nowak Wiśniewski Wójcik Kamiński Zieliński Popescu Ionescu Dumitrescu
Papadopoulos Nikolaidis Rossi Bianchi Esposito Silva Gonçalves Fernandes Nielsen Sørensen Müller Schäfer Weiß O'Brien O'Sullivan O'Connor McCarthy
MacLeod McGillicuddy Ó'Dónaill ap-Rhys Llewellyn Gruffydd Chen Wang Li Zhang Huang Ng Leung Cheung Nguyen Tran Pham Tanaka Kim Park Yılmaz Öztürk
Hosseini Petrosyan Shevchenko Kovalenko Ivanova van-Dijk Haddad Al-Khalidi El-Sayed Bin-Rashid Abdelrahman Cohen Rosenberg Goldstein Parkinson
Crohn Hodgkin Down Graves Wilson Murphy Colles Bennett Barton Foley Addison Bowen Paget""".split()
STREETS = "High Church Station Victoria Mill Manor Park Queens Kings Albert York Primrose Beech Elm Nightingale Wellesley Tennyson Abbeyfield".split()
ENDINGS = [
    "Road",
    "Street",
    "Lane",
    "Avenue",
    "Close",
    "Drive",
    "Gardens",
    "Crescent",
    "Mews",
    "Rd",
    "St",
    "Way",
    "Terrace",
    "Court",
]
TOWNS = "Bradford Leicester Swansea Dundee Ipswich Luton Hexham Truro Keighley Stoke-on-Trent Sutton-in-Ashfield Leighton\u00a0Buzzard".split(
    " "
)
AREAS = "BD LE SA DD IP LU NE TR ST NG MK M S L B W N E SE SW EC BT CF EH G".split()
HOSPITALS = [
    "Fairmead Hospital",
    "Northgate General Hospital",
    "St Cuthbert's Hospital",
    "Royal Eastshire Infirmary",
    "Queen Eleanor Hospital",
]
OTHER_HOSPITALS = [
    "Addenbrooke's Hospital",
    "Leeds General Infirmary",
    "Southmead Hospital",
    "Glan Clwyd Hospital",
    "Westvale Community Hospital",
]
PRACTICES = [
    "{} Road Surgery",
    "The {} Practice",
    "{} Medical Centre",
    "{} Family Practice",
    "Dr {} and Partners",
    "{} Health Centre",
    "{} House Practice",
]
WARDS = ["Kestrel Ward", "Ward 7B", "AMU", "ITU", "Ward 12", "CCU", "Bluebell Ward"]
ROLES = [
    "Consultant Radiologist",
    "Consultant Neuroradiologist",
    "ST5 Radiology",
    "Reporting Radiographer",
    "Specialist Registrar",
    "Clinical Fellow",
]
MONTHS = "January February March April May June July August September October November December".split()
FINDINGS = """The {heart size|clinical} is normal. No pleural effusion.|Cerebral {grey matter|clinical} differentiation is preserved.|{Murphy's sign|eponym} is negative.
A 3 cm {Baker's cyst|eponym} is noted.|No {Colles' fracture|eponym}.|{L4/5|spine}: {broad based|clinical} protrusion.|{T1|sequence} and {T2|sequence} weighted images.
{Crohn's disease|eponym} with {terminal ileitis|clinical}.|Known {Parkinson's disease|eponym}.|{Hodgkin lymphoma|eponym}, {Ann Arbor|eponym} {stage IIB|stage}.
{Graves' disease|eponym} on {carbimazole|drug}.|The {long axis|clinical} diameter is {14 mm|measure}.|{Circle of Willis|eponym} is patent.
Given {Omnipaque 300|drug} {100 ml|measure}.|Repeat in {6/52|duration}.|Pain for {3/12|duration}.|{GCS 15/15|score}, {BP 120/80|score}.|{Pouch of Douglas|eponym} is clear.
{Foley catheter|eponym} in situ.|{BI-RADS 4|stage} lesion.|{PI-RADS 3|stage} in the {peripheral zone|clinical}.|{C5/6|spine} {disc osteophyte complex|clinical}.
There is {white matter|clinical} change, {Fazekas 2|eponym}.|{Salter-Harris II|eponym} fracture.|{Kerley B lines|eponym} at the bases.|{Weber B|eponym} ankle fracture.
Comparison is not available.|No {bone lesion|clinical}.|{Bristol stool chart|place_like} type 5.|{Glasgow Coma Scale|eponym} 14.|Sats 96% on air, HR 88.
May represent an {incidental|clinical} finding.|{Meckel's diverticulum|eponym} suspected.|The {common bile duct|clinical} measures 6 mm.|{Tenckhoff catheter|eponym} noted.
Started on {apixaban 5 mg|drug} BD.|{eGFR 45|lab}, {CRP 88|lab}.|{Hashimoto's thyroiditis|eponym} on levothyroxine.|Bell clapper deformity is excluded.
Old {granulomatous|clinical} change.|The price of delay was explained.|The {sharp|clinical} margin is preserved.|Sent for {Whipple's procedure|eponym}.
Moderate {hydronephrosis|clinical} on the left.|{Osgood-Schlatter disease|eponym} in childhood.|{T2a N1 M0|stage}.|{Gleason 3+4|stage} adenocarcinoma.""".replace(
    "\n", "|"
)
