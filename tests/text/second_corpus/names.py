"""Invented people and places of many origins. No list here is read by the rules that are tested."""

from __future__ import annotations

#: origin: women's names; men's names; surnames.
PEOPLE = {
    "english": (
        "Abigail Alison Audrey Beryl Brenda Carol Chloe Daphne Deborah Eileen Ellie Felicity Freya Gillian Hazel Imogen Jacqueline "
        "Jean Joyce Kerry Lorraine Marjorie Muriel Norma Pamela Poppy Rosalind Sheila Tamsin Tracey Wendy Zara",
        "Adrian Alan Barnaby Cedric Clive Cyril Desmond Duncan Edgar Ernest Geoffrey Gerald Gordon Graham Harvey Horace Jarvis "
        "Keith Leonard Malcolm Nigel Norman Percy Quentin Reginald Rodney Rupert Stanley Terence Trevor Wilfred Wayne",
        "Ackroyd Adcock Allsop Arkwright Bainbridge Barraclough Birtwistle Blenkinsop Boothroyd Brocklehurst Calvert Chadwick "
        "Claypole Cowperthwaite Crabtree Dewhurst Entwistle Fairclough Fothergill Garside Greenhalgh Haythornthwaite Higginbottom "
        "Hodgkinson Ibbotson Kilbride Lightfoot Longbottom Mainwaring Murgatroyd Openshaw Pickersgill Postlethwaite Quarmby "
        "Rowbotham Satterthwaite Shuttleworth Sidebottom Tattersall Thistlethwaite Uttley Winterbottom Wolstenholme Yeardley "
        "Jones Taylor Davies Walker Thompson Hughes Green Hall Jackson Clarke Harris Lewis Cook Morris Cox Palmer Marshall Butler "
        "Barnes Fisher Pearson Gibson Holmes Webb Rogers Hunt Mills Dixon",
    ),
    "scottish": (
        "Ailsa Catriona Eilidh Fiona Iona Isla Kirstin Mhairi Morag Rhona Shona",
        "Alasdair Angus Calum Dougal Euan Fergus Fraser Gregor Hamish Iain Ruaridh Struan",
        "Abercrombie Anstruther Auchterlonie Buchanan Carmichael Colquhoun Dalrymple Drummond Galbraith Kinnaird Lockhart MacAskill "
        "MacDiarmid Mackintosh McAllister McCorquodale McIlwraith MacNeil Menzies Oliphant Urquhart Wedderburn",
    ),
    "irish": (
        "Aoife Aisling Bríd Caoimhe Deirdre Gráinne Máire Nuala Orlaith Róisín Saoirse Sinéad Úna",
        "Aodhán Brendan Cathal Ciarán Cormac Declan Diarmuid Eoin Fionn Lorcan Pádraig Ruairí Tadhg",
        "O'Shaughnessy O'Donoghue Ó'Briain MacGillycuddy Gallagher Geraghty Heneghan Kinsella McCafferty McLoughlin Mulvaney "
        "Ní'Dhomhnaill O'Callaghan O'Sullivan Prendergast Quigley Shaughnessy Sweeney",
    ),
    "welsh": (
        "Angharad Bethan Carys Cerys Eirlys Ffion Gwenllian Lowri Mair Myfanwy Nerys Rhiannon Seren",
        "Aled Bryn Dafydd Emyr Gethin Gwilym Hywel Idris Iestyn Llywelyn Meirion Osian Rhodri",
        "ap-Gruffydd Bebb Cadwaladr Gethin Goronwy Gwilliam Llewellyn Maddocks Mostyn Onllwyn Penry Prosser Pugh Rhydderch Tudor Vaughan",
    ),
    "indian": (
        "Aishwarya Deepika Gurpreet Harpreet Ishita Jaspreet Kavita Lakshmi Manjula Neha Padma Rukmini Sangeeta Shanthi Sunita Vidya",
        "Amarjit Arvind Baldev Dinesh Gurdeep Harish Jagdish Kuldip Manoj Narinder Parminder Rajesh Sandeep Tejinder Venkatesh Vikram",
        "Aggarwal Ahluwalia Banerjee Bhattacharya Chakraborty Chaudhuri Dhaliwal Ganguly Gopalakrishnan Grewal Jayaraman Kulkarni "
        "Krishnamurthy Mahajan Nair Natarajan Patel Rajagopalan Ramanathan Sandhu Sethi Subramaniam Thiruvengadam Venkataraman Vaidyanathan",
    ),
    "pakistani": (
        "Aaliyah Asma Fauzia Humaira Iqra Mehwish Nasreen Parveen Rukhsana Sadia Shaista Tahira Uzma Zainab",
        "Adnan Arshad Bilal Faisal Ghulam Imran Javed Kashif Mohammed Nadeem Qasim Rizwan Shahid Tariq Waqar Zahid",
        "Abbasi Akhtar Anwar Bhatti Butt Chaudhry Ghani Hussain Janjua Khawaja Malik Mehmood Mirza Nawaz Qureshi Rafiq Rehman Sheikh Tahir Zaidi",
    ),
    "nigerian": (
        "Abimbola Adaeze Bolanle Chiamaka Folasade Ifeoma Kehinde Ngozika Olufunke Omolara Temitope Uchenna Yetunde",
        "Abayomi Ayodele Babatunde Chidi Chinedu Emeka Femi Ikechukwu Kayode Obinna Olumide Segun Tunde",
        "Abubakar Adebayo Adeyemi Afolabi Akinola Balogun Chukwu Danjuma Ekwueme Eze Fashola Ibekwe Lawal Nnamdi Obiora Ogunleye Olatunji "
        "Onyekachi Oyelaran Umeh",
    ),
    "ghanaian_east_african": (
        "Abena Akosua Esi Fatuma Halima Nakato Wanjiru Wambui Selam Tsehay",
        "Kofi Kwaku Kwasi Mwangangi Otieno Kiprono Tesfaye Abdirahman Mohamud",
        "Agyemang Asante Boateng Mensah Nkrumah Kamau Kipchoge Odhiambo Wanyama Tekle Gebremariam Warsame Farah Abdullahi",
    ),
    "polish": (
        "Agnieszka Barbara Danuta Elżbieta Grażyna Halina Iwona Krystyna Łucja Mirosława Wiesława Zofia",
        "Bogdan Czesław Dariusz Jacek Kazimierz Krzysztof Leszek Marek Przemysław Stanisław Tomasz Zbigniew",
        "Brzęczyszczykiewicz Dąbrowski Gąsiorowska Jabłoński Kaczmarek Kościelniak Lewandowska Mazurek Nowakowski Pawłowska Sikorski "
        "Szczepaniak Szymańska Trzaskowski Wiśniewska Zieliński Żukowski",
    ),
    "european": (
        "Ağça Anca Bianca Dragana Eszter Françoise Ilse Jürgen Katarína Ludmila Oxana Paulína Réka Sólveig Vesna",
        "Andrzej Bartholomäus Dragoș Enrique Giuseppe Håkon Ioannis Jiří László Mihály Nikos Radu Søren Vasile Zoltán",
        "Bălan Čapek Dimitriou Fernández García Großmann Hadjigeorgiou Horváth Jørgensen Kovács Müller Papadopoulos Popescu Șerban "
        "Schäfer Silva Sørensen Szabó van-der-Berg Vukić Zeković",
    ),
    "chinese_vietnamese_korean": (
        "Hui Jing Meiling Ngoc Phuong Siew Soo-Jin Thuy Wai Xiuying Yuk Yingying",
        "Chun Guang Haoran Jae-Hyun Kwok Minh Quang Seng Weiming Xin Yongqiang",
        "Cheung Choi Dinh Fung Huang Kwan Lau Leung Luong Ng Nguyen Ong Park Pham Tang Tsang Vuong Wong Xu Yeung Zheng Zhou",
    ),
    "arab_turkish_iranian": (
        "Amal Asmahan Aylin Farideh Hanan Layla Maryam Nadia Özlem Parisa Reem Samira Soraya Yasmin",
        "Abdelrahman Ahmad Bahram Cemal Hassan Ibrahim Khalid Mahmoud Mustafa Omid Rashid Walid Yılmaz Ziad",
        "Abdulrahman Al-Hashimi Al-Masri Aydın Bakr Çelik El-Sayed Ghorbani Hosseini Kaya Khalil Mansour Najjar Öztürk Rahimi Sabbagh Şahin Tehrani Younis Zadeh",
    ),
    "caribbean_filipino_latin": (
        "Althea Anthonia Divina Esperanza Jasmine Luzviminda Marisol Precious Shanice Tamika Winsome",
        "Cleveland Delroy Devon Everton Jesus Leroy Marlon Nathaniel Rommel Tyrone Winston",
        "Bartolome Campbell Cruz Dela-Cruz Francis Gayle Macapagal Magsaysay Mclean Reid Reyes Samuels Sobers Walcott",
    ),
    #: Names that are words; the hardest.
    "words": (
        "April Autumn Charity Crystal Dawn Eve Faith Grace Hope Iris Ivy Joy June Lily May Mercy Olive Pearl Penny Rose Ruby Summer Violet Willow",
        "Bill Christian Colin Don Frank Guy Jack Mark Max Miles Pat Ray Rich Rob Sandy Victor Will",
        "Baker Banks Barber Bell Berry Bird Bishop Black Blood Bone Booth Brook Brown Burns Bush Carter Cash Chambers Church Cross Day Dean "
        "Fish Flint Ford Fox Frost Gold Good Grant Gray Hand Head Heath Hill Hood Hope Hunter King Knight Lake Lamb Law "
        "Little Long Love March Marsh Mason May Miller Moon Moss North Pain Page Park Parsons Payne Poole Pope Potts Power Price Rice Rivers "
        "Rose Rush Sargent Savage Seal Sharp Shaw Short Skinner Small Snow Spring Steel Stone Summers Swift Treasure Waters Weekes West White "
        "Wise Wood Woods Young",
    ),
}
TOWNS = (
    "Accrington Aldershot Banbury Basildon Bexhill Bideford Biggleswade Bognor Bridlington Burnley Chorley Cleethorpes Clitheroe Congleton Dewsbury "
    "Droitwich Ebbw-Vale Felixstowe Glossop Grimsby Harrogate Hebden-Bridge Ilkeston Kidderminster Leighton-Buzzard Lowestoft Matlock Melton-Mowbray "
    "Nuneaton Ormskirk Pontefract Prestatyn Ramsgate Rhyl Runcorn Skegness Stourbridge Stranraer Tenterden Uttoxeter Wallasey Wrexham Yeovil"
).split()
STREET_NAMES = (
    "Adelaide Balmoral Beech Birchwood Caernarfon Chestnut Clarence Coronation Cromwell Dovecote Elmfield Fairview Green Hillcrest Ivydene King's "
    "Lavender Limekiln Mafeking Manor Northumberland Oakleigh Park Priory Quarry Rosemount Sandringham Tennyson Upper Tollgate Victoria Waterloo "
    "Yew-Tree St-John's Old-Hall Mill-House"
).split()
STREETS = "Road Rd Street St Avenue Ave Lane Close Crescent Drive Court Gardens Grove Place Terrace Way Walk Hill Rise Row Square View Mews Parade Wynd".split()
HOSPITALS = (
    "Ashgrove General Hospital|Castle Hill Infirmary|St Winifred's Hospital|Northmoor District Hospital|Royal Calder Infirmary|Penhallow Community Hospital|"
    "Royal Cornwall Hospital|Queen Alexandra Hospital|University Hospital Coventry|Musgrove Park Hospital|Hinchingbrooke Hospital|Ysbyty Gwynedd|"
    "Nuffield Health Wolverhampton|Ninewells Hospital|Frimley Park Hospital|BMI The Priory|Airedale General Hospital|Kettering General Hospital|Ysbyty Glan Clwyd|"
    "Royal Marsden|Moorfields Eye Hospital|Watford General|St Bartholomew's Hospital|Darent Valley Hospital|The Walton Centre|Lister Hospital|Harefield Hospital"
).split("|")
WARDS = "AMU|ITU|HDU|CCU|SAU|Ward 7B|Ward 12|Bluebell Ward|Nightingale Ward|Trafalgar Ward|Ward C4|Elgar ward|Bay 4|Rainbow Ward|CDU|Jubilee Ward".split(
    "|"
)
PRACTICES = (
    "The {t} Surgery|{t} Medical Centre|{t} Road Surgery|{t} Health Centre|{t} Family Practice|{t} Group Practice|Dr {s} and Partners|{s} House Surgery|{t} Medical Practice|"
    "The {s} Practice"
).split("|")
ROLES = (
    "Consultant Radiologist|Consultant Neuroradiologist|Consultant Interventional Radiologist|Specialty Registrar|ST3 Radiology|Reporting Radiographer|Consultant|"
    "Advanced Practitioner|Clinical Fellow|Consultant Physician|Consultant Orthopaedic Surgeon|Associate Specialist|Locum Consultant Radiologist"
).split("|")
SHORT = {
    "Jacqueline": "Jackie", "Deborah": "Debs", "Geoffrey": "Geoff", "Terence": "Terry", "Gerald": "Gerry", "Leonard": "Len", "Stanley": "Stan",
    "Malcolm": "Mal", "Reginald": "Reg", "Pamela": "Pam", "Rosalind": "Ros", "Krzysztof": "Krzys", "Agnieszka": "Aga", "Rajesh": "Raj", "Venkatesh": "Venky",
    "Mohammed": "Mo", "Olumide": "Olu", "Temitope": "Temi", "Angharad": "Haz", "Dafydd": "Dai", "Nathaniel": "Nat", "Gwenllian": "Gwen", "Abdelrahman": "Abdel",
}  # fmt: skip
