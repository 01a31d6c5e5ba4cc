"""Documents of a British hospital: how they are laid out and what they say."""

HEADERS = r"""
{home}\nDepartment of Clinical Radiology\nPatient Name: {pt_rev}\nHosp No: {mrn}   NHS: {nhs}\nD.O.B: {dob}\nExam: {exam}   Performed: {study}   Acc: {acc}\nReferring Clinician: {ref}\n
{pt_rev} DOB {dob} MRN {mrn}\n{exam} {study}\n
Re: {title} {pt_full}, d.o.b. {dob}, {addr}, {pt_town} {pc}\nNHS number {nhs}\n{exam} performed on {study}\n
Name: {pt_full} | Sex: {sex} | DOB: {dob} | Hospital number: {mrn} | Requested by {ref} | Location: {ward}\n{exam} {study} accession {acc}\n
Accession Number: {acc}\nPatient ID: {mrn}\nPatient Name: {pt_hl7}\nStudy Date: {study}\nReferring Physician: {c_rev}\n
{exam} ({study}) - {pt_full} ({mrn})\n
REPORT STATUS: FINAL. {exam} {study} {t}. Patient {pt_full}, born {dob}, unit number {mrn}.\n
Surname: {pt_sur}\nForename: {pt_given}\nDate of birth: {dob}\nNHS No. {nhs}\nAddress: {addr}\n{pt_town}\n{pc}\nTel: {pt_phone}\nGP: {gp_full}, {practice}\nExamination: {exam}, {study}\n
MSH|^~\&|RIS|{home}|EPR||{study}\nPID|1||{mrn}^^^HOSP^MRN||{pt_hl7}||{dob}|{sex}|||{addr}^^{pt_town}^^{pc}\nORC|RE|{acc}\nOBX|1|TX|{exam}\n
{exam} {study}:\n
Exam date {study}. {exam}. Referred by {ref}, {ward}, {home}.\n
""".strip().split("\n")

EXAMS = (
    "CT head|CT chest abdomen and pelvis|MRI lumbar spine|MRI right knee|Chest X-ray|XR left wrist|US abdomen|US testes|Barium swallow|NM bone scan|PET-CT skull base to mid thigh|"
    "MRI pelvis (prostate)|CT pulmonary angiogram|CT KUB|MR angiogram renal arteries|Bilateral mammography|DEXA hip and spine|Ultrasound doppler left leg|CT colonography|MRI brain with contrast|"
    "XR abdomen|Fluoroscopic guided injection left hip|MRCP|CT sinuses|OPG"
).split("|")

ADMIN = r"""
Discussed with {c} at {t} on {dm}.
Findings communicated to {c}, who will arrange follow up.
Telephoned to {c} on bleep {bleep} at {t}.
Result phoned to Sister {c_sur} on {ward}.
I have discussed this case with {c} and {c}.
Seen by {c} in clinic on {date}.
Agreed with {c_full} at the lung MDT on {date}.
Reviewed jointly with {c_title} and {c_title}.
Comparison made with the previous CT of {date}.
Compared with the study dated {date} from {hosp}.
Previous imaging from {hosp} dated {date} has been reviewed.
No significant change since {my}.
Comparison is made to {date} and {date}.
Last seen in {my} by {c}.
Follow up of {date} noted.
Please contact the duty radiologist on ext {ext} with any queries.
Please call {phone} to arrange the biopsy.
d/w {c_sur} (on call SpR, bleep {bleep}).
D/W {c_sur}, ITU consultant.
Case d/w {c} {date}.
Patient's {rel} {r_given} was present.
Accompanied by her {rel}, {r_full}.
His {rel} {r_given} will bring him back on {dm}.
{rel_cap} {r_full} rang on {date}; contact number {phone}.
Lives with {rel} {r_given} in {town}.
Next of kin: {r_full} ({rel}) {phone}.
Emergency contact is {r_full}, tel {phone}.
{pt} tolerated the procedure well.
{pt} was referred by {gp} of {practice}.
{pt_given} attended with abdominal pain.
{pt_given} lives at {addr2}, {town}.
{pt_full} was consented by {c}.
This lady, {pt_typo}, has known asthma.
The patient ({pt_init}) was unable to lie flat.
{pt_nick} prefers to be called by that name.
Previously known as {pt_prev}.
Radiographer: {c_full}. Chaperone: {c_full}.
Performed by {c_full} and supervised by {c_title}.
Injection given by {c_init}, batch 23B1107.
Cannula sited by radiographer {c_full}.
Consent: {c_init}.
Vetted by {ini_up} on {date}.
Protocolled by {c_sur}.
Justified under IR(ME)R by {c_full}.
Second opinion from {c_title} at {hosp}.
Dr {c_sur}'s secretary has been informed on {phone}.
Emailed to {email} on {date}.
Copy of images sent to {hosp} via IEP.
Transferred from {hosp} on {date}.
Reported remotely by {c_full} (GMC {gmc}).
Staff nurse {c_full} (NMC {nmc}) assisted.
Her daughter-in-law {r_other} translated.
Accession {acc2} should be read in conjunction.
Patient ID {mrn} confirmed verbally. DOB {dob} checked.
Three point ID check: {pt_full}, {dob}, {addr}.
NHS {nhs} confirmed.
Specimen number {path}.
Pacemaker serial no {serial}.
Car registration {plate} noted for parking permit.
Study instance UID {uid}.
NI number {nino}.
A {age90} year old {man}.
{age90}yo {man} from home.
Aged {age90}, independent.
Ward: {ward}.
Currently an inpatient on {ward} under {c}.
Under the care of {c_title} at {hosp}.
Appointment on {date} at {t} with {c}.
Originally from {town}, works as a teacher.
Lives in a care home at {addr2}, {pc2}.
Handed over to {c_full}.
Bleeped {c_sur} #{bleep}, no reply.
Contacted {c_given} on {ward} at {t}.
Spoke to {c_given} in theatres.
Thanks to {c_sur} for the referral.
Surgeon: {c_sur}. Anaesthetist: {c_sur}. Scrub nurse: {c_full}.
Operator {c_full}, assistant {c_full}.
This was performed by {c_title} on {date}.
She was last scanned on {dm}.
Admitted {dm} with falls.
Booked for {dm}.
Since {dm} symptoms have worsened.
dw {c_lower}, agrees.
discussed w/ {c_lower} who will review
Interpreter: {r_other} (Polish).
Social worker {c_full} on {phone}.
Police officer PC {c_sur} in attendance.
""".strip().split("\n")

SIGNATURES = r"""
{c_caps}\n{role}\nGMC {gmc}
Dr {c_full}\n{role}
Reported by: Dr {c_full}, {role}
Reported by {c_rev}. Verified by {c_rev} on {date} {t}.
Electronically signed by {c_full} {date} {t}
Dictated by: {c_full}; Typed by: {ini}; Verified: {date}
{ini_up}/{ini}
Signed: {c_init} ({gmc})
Reporting Radiographer {c_full}, HCPC {hcpc}
Yours sincerely,\n\nDr {c_full} MBBS FRCR\n{role}\nTel {phone} Ext {ext}\nEmail: {email}
Kind regards\n{c_full}\n{role}
Report authorised by {c_full} ({role}) on {date} at {t}.
Author: {c_full} Co-signed: {c_full}
Final report. {c_title}, {role}, {home}
Radiologist: {c_sur} {date}
{c_sur}/{ini}
""".strip().split("\n")

CC = r"""
cc {gp_full}, {practice}
cc. {c_title}; {c_title}; GP
Copies to: {c_full} ({hosp}), {gp_full}
CC: {c_sur}, {c_sur}, patient
Copy to: {title} {pt_full}, {addr}, {pt_town}, {pc}
cc GP {gp_full}, {practice}, {addr2}, {town}, {pc2}
""".strip().split("\n")

ADDENDA = r"""
ADDENDUM ({c_full}, {date}): The side should read right.
Addendum {date} by {c_title}: images reviewed at MDT, no change.
**Addendum** dictated by {c_init} on {date}. Prior films from {hosp} now available.
Supplementary report by {c_title}: agree.
Amended {date} {t} {ini_up}
""".strip().split("\n")

LETTERS = r"""
{home}\n{addr2}, {town} {pc2}\nTel: {phone}\n\nRef: {ini_up}/{ini}/{mrn}\nDate dictated: {date}  Date typed: {date}\n\n{gp_full}\n{practice}\n{addr2}\n{town}\n{pc2}\n\nDear Dr {gp_sur}\n\nRe: {title} {pt_full} - DOB: {dob} - NHS {nhs}\n{addr}, {pt_town}, {pc}\n
Discharge summary\nPatient: {pt_rev}  Hospital no. {mrn}  DoB {dob}\nAdmitted: {date}  Discharged: {date}  Ward: {ward}\nConsultant: {c_title}\nGP: {gp_full}, {practice}\n
Dear {c_title}\n\n{title} {pt_full}, {dob}, {mrn}\n{addr} {pt_town} {pc}\n\nThank you for referring this patient whom I reviewed on {date}.\n
ED attendance {study} {t}. {pt_full}, {dob}. Seen by {c_init}.\n
MDT date: {date}. Chair: {c_full}. Present: {c_sur}, {c_sur}, {c_full}, CNS {c_given}.\n1. {pt_rev} {dob} {mrn}\n
Nursing note {study} {t}: {pt_given} settled on {ward}.\n
Request: {exam}. Requester {c_full} bleep {bleep}. Patient {pt_full} {dob} {mrn}. Vetted by {ini_up}.\n
""".strip().split("\n")

CLINICAL = r"""
There is a <Baker's cyst> measuring <34 x 12 mm> in the popliteal fossa.
<Hill-Sachs defect> and <bony Bankart lesion> of the anteroinferior glenoid.
No <Bennett fracture>. <Rolando fracture> excluded.
<Colles' fracture> with dorsal angulation of <20 degrees>.
Features of <Parkinson's disease> with loss of the swallow tail sign on <SWI>.
Known <Wilson's disease>, liver biopsy pending.
Left <Bell's palsy>, no enhancement of the <facial nerve>.
<Murphy's sign> is positive; gallbladder wall <5 mm>.
<Meckel's cave> is normal. Small <Rathke's cleft cyst>.
The <circle of Willis> is patent. <Tetralogy of Fallot> repair noted.
<Weber B> fracture of the distal fibula. Syndesmosis intact.
<Salter-Harris type II> injury of the distal radius.
<Crohn's disease> of the <terminal ileum> with <comb sign>.
<Garden IV> fracture, left hip. For <Thompson's hemiarthroplasty>.
<Schmorl's nodes> at <L1/2> and <T12>.
<Perthes' disease> of the right hip, <Catterall group III>.
<Paget's disease> of the left hemipelvis.
<Ewing's sarcoma> cannot be excluded.
<Kienbock's disease> of the lunate, <Lichtman stage 3>.
<Osgood-Schlatter disease> suspected clinically.
<Morton's neuroma> in the second web space, <8 mm>.
<Barrett's oesophagus> on surveillance.
<Hashimoto's thyroiditis>, heterogeneous gland.
<Graves' disease> with increased uptake.
<Cushing's disease>; <4 mm> pituitary microadenoma.
<Addison's disease> on <hydrocortisone>.
<Raynaud's phenomenon> reported.
<Sjogren's syndrome> with parotid change.
<Dupuytren's contracture> released in the past.
<Hirschsprung's disease> excluded by biopsy.
<Hodgkin lymphoma>, <Deauville score 3>, <Lugano stage II>.
<Ann Arbor stage IIIB> at presentation.
<Gleason 3+4> adenocarcinoma, <PI-RADS 5> lesion left <peripheral zone>.
<Bosniak IIF> cyst, upper pole right kidney, <28 mm>.
<Fleischner Society guidelines> suggest repeat CT in <12 months>.
<Stanford type A> dissection. <DeBakey type I>.
<Kerley B lines> and <upper lobe> diversion.
<Hounsfield> units of <35>.
<Cobb angle> of <24 degrees> between <T5> and <T12>.
<Lisfranc> injury suspected; weight bearing views advised.
<Jones fracture> of the fifth metatarsal.
<Boxer's fracture> of the fifth metacarpal neck.
<Freiberg's infraction> of the second metatarsal head.
<Sever's disease> is a clinical diagnosis.
<Achilles tendon> thickened with <Haglund deformity>.
<Spigelian hernia> containing fat. <Bochdalek hernia> incidentally.
<Hartmann's procedure> in the past. <Whipple's> resection planned.
<Tc-99m MDP> 600 MBq. <F-18 FDG> avid nodes, <SUVmax 9.2>.
<Omnipaque 300> <100 ml> IV. <Buscopan> <20 mg>. <Gadovist> <8 ml>.
<Fazekas grade 2> <small vessel disease>.
<T1>, <T2> and <STIR> sequences. High <T2> signal at <C4/5>.
<L5/S1> disc bulge abuts the <S1> nerve root. <Modic type 1> change.
<GCS 13/15>, <NEWS 4>, <BP 140/85>.
Pain for <6/52>, worse for <3/7>. Review in <3/12>.
<T3b N1 M0> disease. <pT2 N0>.
<CRP 145>, <eGFR 38>, <Hb 98>, <INR 1.4>.
On <apixaban> <5 mg> BD and <bisoprolol>. Allergic to <penicillin>.
<Right kidney> <10.8 cm>, left kidney <11.1 cm>. No <hydronephrosis>.
The long <axis> of the node is <14 mm>; short axis <9 mm>.
<Bone marrow> signal is normal. <Brown tumour> not seen.
<Grey white differentiation> is preserved.
<White matter> hyperintensities in keeping with age.
Young patient with sharp pain on inspiration.
No small bowel dilatation. No free gas under the diaphragm.
The head of the pancreas is bulky. The neck of the femur is intact.
Black blood imaging and bright blood cine sequences obtained.
A cross table lateral view shows no fracture.
The patient may need further imaging. This will be reviewed.
May represent infection. Hope to discharge soon.
Hand and foot radiographs are normal. Heart size is normal.
Stone in the <common bile duct>. Rose coloured rash.
Drain in situ. Line tip at the <cavoatrial junction>.
Price of delay explained. Grant funded trial.
Page and bleep systems are down. Moss like appearance.
Long standing pain. Sharp margin. Little change. Good alignment.
Rush immunisation not relevant. Hunter canal patent.
Wood splinter in the thumb. West facing window noted.
No evidence of <pulmonary embolism>. No <pleural effusion>.
<Cardiomegaly> with <CTR 0.58>. <Left lower lobe> collapse.
There is a <12 mm> <nodule> in the <right upper lobe>.
<Diverticulosis> without <diverticulitis>.
<Hepatic steatosis>. <Gallstones>. No <biliary dilatation>.
<Aortic aneurysm> <4.6 cm> infrarenal.
<Ischaemic change> in the <left MCA territory>.
<Vestibular schwannoma> in the left <internal auditory meatus>.
<Medial meniscus> tear, posterior horn. <ACL> intact.
<Supraspinatus> full thickness tear, <15 mm> retraction.
<De Quervain's tenosynovitis> and <Finkelstein's test> positive.
<Charcot foot> with <Eichenholtz stage 2> change.
<Pott's disease> of the spine considered.
<Takayasu arteritis>. <Kawasaki disease> in childhood.
<Budd-Chiari syndrome> excluded. <Caroli disease> unlikely.
<Wernicke's encephalopathy> pattern. <Creutzfeldt-Jakob disease> unlikely.
<Chiari I malformation>, tonsils <7 mm> below the <McRae line>.
<Klatskin tumour>, <Bismuth type IIIa>.
<Mallory-Weiss tear> suspected. <Boerhaave syndrome> excluded.
<Zenker's diverticulum>. <Schatzki ring>. <Nissen fundoplication> intact.
<Foley catheter> in the bladder. <Hickman line> tip satisfactory. <Swan-Ganz catheter>.
<Kirschner wires> in situ. <Harrington rods>. <Girdlestone procedure>.
<Freehand technique> used, <18G> needle.
<Non-contrast> study. <Arterial phase> and <portal venous phase>.
<Rockwood> frailty score 5. <Wells score> 6. <CHA2DS2-VASc> 3.
<Sudeck's atrophy>. <Brodie's abscess>. <Codman triangle> absent.
""".strip().split("\n")
SECTIONS = [
    "Clinical details:",
    "Clinical information:",
    "Technique:",
    "Findings:",
    "Report:",
    "Comment:",
    "Impression:",
    "Conclusion:",
    "Opinion:",
    "History",
    "FINDINGS",
    "CONCLUSION",
]
RELATIONS = "wife husband son daughter mother father partner sister brother carer grandson niece neighbour".split()
